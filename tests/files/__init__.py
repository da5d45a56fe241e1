"""Stock files with the habits of spreadsheets, imported and judged row by row, and imports that are killed."""
