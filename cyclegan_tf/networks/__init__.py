"""Generators and discriminators as flat Keras models."""
