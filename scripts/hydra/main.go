// Command hydra is Ory Hydra, an OpenID provider that nobody here wrote, for scripts/providers.
package main

import "github.com/ory/hydra/v2/cmd"

func main() { cmd.Execute() }
