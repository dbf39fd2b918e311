"""Monthly reports of a compound or a firm, as PDF and XLSX, in Chinese and English.

`gather` fills the model from the database, `pdf` and `xlsx` write it down.
"""
