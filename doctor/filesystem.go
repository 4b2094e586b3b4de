package doctor

// fileSystemOf names the type of a file system, as Linux's statfs(2) tells it, and says how it
// doesn't suit a journal; "" if it does.
func fileSystemOf(magic int64) (name, misfit string, level Level) {
	const remote = "it is on the network: a journal wants a disk of its own, and its sync and locks are not those of a local disk"
	const memory = "it is in memory: what was acknowledged is lost when the host restarts"
	switch uint32(magic) { // the field is signed on some platforms
	case 0x01021994:
		return "tmpfs", memory, Failure
	case 0x858458f6:
		return "ramfs", memory, Failure
	case 0x6969:
		return "nfs", remote, Failure
	case 0xff534d42, 0xfe534d42, 0x517b:
		return "smb", remote, Failure
	case 0x01021997:
		return "9p", remote, Warning
	case 0x65735546:
		return "fuse", "what it does at a sync depends on what is mounted", Warning
	case 0x794c7630:
		return "overlayfs", "it is the writable layer of a container: it is slow, and lost with the container", Warning
	case 0xef53:
		return "ext4", "", OK
	case 0x58465342:
		return "xfs", "", OK
	case 0x9123683e:
		return "btrfs", "copy on write makes syncs slow: ext4 or xfs suit better, or chattr +C on the empty directory", Warning
	case 0x2fc12fc1:
		return "zfs", "copy on write makes syncs slow: ext4 or xfs suit better", Warning
	}
	return "", "", OK
}
