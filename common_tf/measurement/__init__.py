"""The one way in which a number gets its n, its interval, its floor and its definition."""
