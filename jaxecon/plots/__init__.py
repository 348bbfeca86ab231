"""Figures by matplotlib; labels come from field metadata only."""
