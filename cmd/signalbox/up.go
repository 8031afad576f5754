package main

type upCommand struct{}

func (upCommand) Run(*app) error { return nil }
