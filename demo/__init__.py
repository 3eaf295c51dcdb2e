"""What a person can hear and see (installed as kws.demo)."""
