package broker

// logAPIs serves requests about the logs of partitions: offsets by time and by leader epoch,
// log starts and producers.
type logAPIs struct{ opening *opening }
