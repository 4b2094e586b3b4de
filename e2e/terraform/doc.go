// Package terraform tests the Terraform modules on hosts: containers with systemd and sshd, made by
// systemd-nspawn. 'make terraform-test' runs it.
package terraform
