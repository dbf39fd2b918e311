"""`make bench`."""

from bench.ingest import main

main()
