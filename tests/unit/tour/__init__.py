"""Tests of the tour: what it shows is true, on any terminal."""
