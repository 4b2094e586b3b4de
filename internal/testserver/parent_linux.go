package testserver

import "syscall"

// dieWithParent has the system kill the server when the test process dies
// without cleaning up: a panic, a timeout, kill -9.
func dieWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
