"""The demo, live listening and the web page (installed as kws.demo)."""
