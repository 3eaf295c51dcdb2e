"""The folders of corpora that the shipped recipes name, and how each is made from its
public source.

The .csv files hold which recordings of a corpus the shipped models learned from and
were tested on: names, speakers and splits, no sound. The speakers of wake_words.csv
were estimated by clustering voices, for the recordings name none.
"""
