// Command catchup measures reading from a real MinIO after an agent's local disk is
// gone, beside plain parallel ranged GETs of the same objects, and what producers
// notice of it. It prints a line of JSON for each measurement, as bench/compare
// keeps them.
//
// It builds etcd and MinIO as the tests do, runs everything on loopback below one
// directory, and ends what it started.
package main

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"varve/internal/testserver"
	"varve/s3store"
)

const bucket = "varve"

func main() {
	binary := flag.String("varve", "bin/varve", "the agent's binary")
	dir := flag.String("dir", "", "an empty or absent directory for everything")
	rounds := flag.Int("rounds", 3, "measurements of each kind")
	seconds := flag.Int("produce", 2, "seconds of producing what is read later")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *binary, *dir, *rounds, *seconds); err != nil {
		fmt.Fprintln(os.Stderr, "catchup:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, binary, dir string, rounds, seconds int) error {
	for _, sub := range []string{"etcd", "minio"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o755); err != nil {
			return err
		}
	}
	etcd, err := testserver.StartEtcd(ctx, filepath.Join(dir, "etcd"), testserver.EtcdOptions{}, os.Stderr)
	if err != nil {
		return err
	}
	defer etcd.Close()
	minio, err := testserver.StartMinIO(ctx, filepath.Join(dir, "minio"), os.Stderr)
	if err != nil {
		return err
	}
	defer minio.Close()
	if err := minio.CreateBucket(ctx, bucket); err != nil {
		return err
	}
	config := s3store.DefaultConfig()
	config.Driver, config.Endpoint, config.Bucket, config.PathStyle = s3store.DriverMinIO, minio.Endpoint, bucket, true
	config.AccessKey, config.SecretKey = minio.AccessKey, minio.SecretKey
	store, err := s3store.Open(ctx, config, slog.New(slog.DiscardHandler), nil)
	if err != nil {
		return err
	}
	defer store.Close()
	a := &agent{binary: binary, data: filepath.Join(dir, "data"), log: filepath.Join(dir, "agent.log"), args: []string{
		"--etcd-endpoints", "[" + strings.Join(etcd.Endpoints, ", ") + "]",
		"--store-driver", "minio", "--store-endpoint", minio.Endpoint, "--store-bucket", bucket, "--store-path-style=true",
		"--upload-compress=false", "--shutdown-timeout", "3m"},
		env: []string{"VARVE_STORE_ACCESS_KEY=" + minio.AccessKey, "VARVE_STORE_SECRET_KEY=" + minio.SecretKey}}
	defer a.kill()
	return measure(ctx, a, store, rounds, seconds)
}

// measure fills the bucket, wipes the disk, and reads both ways in turns.
func measure(ctx context.Context, a *agent, store s3store.Store, rounds, seconds int) error {
	if err := a.start(ctx); err != nil {
		return err
	}
	if _, err := a.bench(ctx, "rawproduce", "-t", "history", "--random", "--batch", "262144", "-d", fmt.Sprintf("%ds", seconds)); err != nil {
		return err
	}
	if err := a.stop(); err != nil {
		return err
	}
	if err := os.RemoveAll(a.data); err != nil {
		return err
	}
	if err := a.start(ctx); err != nil {
		return err
	}
	for range rounds {
		took, bytes, err := rawGets(ctx, store)
		if err != nil {
			return err
		}
		note("rawget", fmt.Sprintf(`{"mb":%f,"mb_s":%f}`, float64(bytes)/1e6, float64(bytes)/1e6/took.Seconds()))
		for _, connections := range []string{"1", "6"} {
			line, err := a.bench(ctx, "rawfetch", "-t", "history", "-d", "60s", "-c", connections)
			if err != nil {
				return err
			}
			note("catchup-"+connections, line)
		}
	}
	return a.beside(ctx, store, rounds)
}

// note prints one measurement.
func note(line, json string) {
	fmt.Printf("{\"line\":%q,\"broker\":\"varve\",%s\n", line, strings.TrimPrefix(strings.TrimSpace(json), "{"))
}
