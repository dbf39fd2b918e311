"""What the field is: devices, what they measure, when that is a fault, what it adds up to.

Pure: the standard library and siblings only; `now` is an argument. I/O lives in `devices.store`.
"""
