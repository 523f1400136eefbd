"""Retail: what each age group buys, and alcohol sales."""
