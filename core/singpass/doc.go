// Package singpass signs users in with Singpass, Singapore's national digital identity, and fetches what they agree to share from
// Myinfo. It is built on package idserver, and speaks FAPI 2.0, as Singpass demands of every application from 2027 on.
//
// [New] makes a [Client] from a [Config] without using the network; an adapter takes it as it is (idgin, idecho, idfiber, idchi):
//
//	sp, err := singpass.New(singpass.ConfigFromEnv())
//	auth := idgin.New(sp)
//
// Singpass has two products for people, and an application is registered for one of them. With [Login], somebody signs in: the
// ID token says who, and [IdentityFrom] has it in Config.AdmitUser. With [Myinfo], they also share data: [Client.PersonFrom]
// fetches them in a handler, each time anew, because Singpass forbids to keep them for later.
//
// Corppass has two products for entities (companies, say): with [Corppass], a person signs in for one, which is the user's subject, and
// [ActorOf] says who they are; with [MyinfoBusiness], both share data. [Client.BusinessFrom] fetches what the person may do, and the data. They are made after
// Corppass's documentation, and were not tried with Corppass itself.
package singpass
