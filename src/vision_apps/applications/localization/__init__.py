"""Object localization: is there an object, where, and what is it?"""
