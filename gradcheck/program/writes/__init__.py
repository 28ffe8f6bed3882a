"""A program's writes go to a private folder, which the program itself reads back: no file of the person's changes."""
