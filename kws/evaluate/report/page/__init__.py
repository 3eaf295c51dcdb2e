"""A report for people: one HTML page with the sound of what went wrong, and figures for
papers.
"""
