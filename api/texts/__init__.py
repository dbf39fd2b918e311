"""The console's texts, a list for each part of it; `api.words` says them."""
