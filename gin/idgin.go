// Package idgin signs users in and guards routes in gin.
package idgin
