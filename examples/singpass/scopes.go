package main

import "github.com/signward/idserver-go/core/singpass"

// scopes are what is asked of the provider of this example. Singpass gives each application those of its registration.
var scopes = map[singpass.Product][]string{
	singpass.Myinfo:         {"uinfin", "name", "dob", "sex", "nationality", "email", "mobileno", "regadd", "cpfcontributions"},
	singpass.MyinfoBusiness: {"authinfo", "tpauthinfo", "entity.basic_profile.name", "entity.address", "user.dob", "corppass.email"},
}
