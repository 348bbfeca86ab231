"""Analyses over any discovered model; this package never imports one."""
