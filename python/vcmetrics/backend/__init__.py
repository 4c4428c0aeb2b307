"""Threads, instruction sets and devices."""
