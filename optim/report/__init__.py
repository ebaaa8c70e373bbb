"""What users take away: words, records, figures and exported folders."""
