"""Picture files, folders of them and arrays to pixels, by the rule that training, service and page share."""
