"""The dashboards: what each shows. `layer` is the only module that knows the SDK."""
