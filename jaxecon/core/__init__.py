"""Core: fields, the Model record, evaluation, validation, discovery, labelled results."""
