"""The models: one folder each, all with the same room names; found by `jaxecon.core.discovery`."""
