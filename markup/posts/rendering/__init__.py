"""From what an author wrote to what a reader gets: one module a format, one policy and one finish for all."""
