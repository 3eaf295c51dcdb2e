"""The smoothness of a model: `jacobian` and `bounds` of a layer, `measure` of a model,
`growth` over models, `report`.
"""
