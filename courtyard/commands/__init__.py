"""The commands, by what they are about; `courtyard.cli` puts them under one name."""
