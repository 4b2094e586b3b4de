package agent

// SecurityConfig is who may do what.
type SecurityConfig struct {
	AuthorizerConfig `yaml:",inline"`
}
