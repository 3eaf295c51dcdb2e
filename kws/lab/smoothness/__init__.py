"""How smooth a model is: `jacobian` and `bounds` of a layer, `measure` of a model,
`growth` over models, `report`.
"""
