"""The attention of a model in numbers and pictures: `measure` a model, `measure_run` a
run of a study, `report`.
"""
