package docs

import "strings"

// TopicSetting is a dynamic setting of topics.
type TopicSetting struct {
	Name    string
	Synonym string // the broker's setting that is its default
	Default string
	Doc     string
}

// TopicSettings is the page of the settings that topics have.
func TopicSettings(all []TopicSetting) string {
	var b strings.Builder
	b.WriteString(notice)
	b.WriteString(`# Settings of topics

Kafka's settings of topics, with Kafka's names and defaults. They are set when a topic is created and changed at any time, with
` + "`varve topic alter`" + `, kafka-configs or any client; a broker's setting, of one agent or of all (kafka-configs --entity-type
brokers), is the default of topics that don't have their own. Those that say "no effect" are known so that tools made for Kafka can set
them; "no effect yet" is a feature that is missing.

`)
	row(&b, "setting", "default", "what it is")
	b.WriteString("|---|---|---|\n")
	for _, s := range all {
		name := code(s.Name)
		if s.Synonym != "" && s.Synonym != s.Name {
			name += "<br>broker: " + code(s.Synonym)
		}
		row(&b, name, code(s.Default), cell(s.Doc))
	}
	return b.String()
}
