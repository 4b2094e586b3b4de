// Package testserver runs real servers for tests: it builds etcd and MinIO from
// the modules under e2e/servers, once a machine, and runs them on loopback.
//
// It promises that a server it returned answers requests, that its files are in
// the directory it was given, and that its process ends with the test, also
// when the test process is killed (on Linux). It never downloads anything but
// Go modules, never reaches beyond loopback, and is no part of the product.
package testserver
