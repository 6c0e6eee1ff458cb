"""Compares inversion methods under one protocol (`hyperstyle benchmark`)."""
