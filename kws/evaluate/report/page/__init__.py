"""A report for people: one HTML page with the sound of each mistake, and figures for
papers.
"""
