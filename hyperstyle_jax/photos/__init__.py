"""Photographs of people: faces found, aligned as FFHQ's are, and pasted back."""
