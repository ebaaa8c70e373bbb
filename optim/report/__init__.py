"""Reports that users take away: words, records, figures and exported folders."""
