// Loads etcd with allocations, and prints in one line of JSON how many were done. What is measured against: in the mode
// `single` each is a transaction of its own that creates a key which must be absent; in the mode `grouped` so many at a
// time are one transaction, together with a record that must be as it was last seen. The record is one for all who name
// it, so they race for it. The modes `contended` and `owned` are in contended.go.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

type options struct {
	endpoint string
	mode     string
	name     string
	record   string
	inFlight int
	warmUp   time.Duration
	duration time.Duration
	bytes    int
	keys     int
	zipf     float64
}

type report struct {
	OperationsPerSecond float64 `json:"operationsPerSecond"`
	Failed              int     `json:"failed"`
	P50Milliseconds     float64 `json:"p50Milliseconds"`
	P99Milliseconds     float64 `json:"p99Milliseconds"`
	// Of the modes contended and owned: transactions, and those of them that another was faster than.
	Begun  int64 `json:"begun"`
	Wasted int64 `json:"wasted"`
}

// Does it once, and says how many allocations that were: 0 where another was first.
type work func(context.Context) (int, error)

func main() {
	var o options
	flag.StringVar(&o.endpoint, "endpoint", "", "where etcd listens")
	flag.StringVar(&o.mode, "mode", "", "single, grouped, contended or owned")
	flag.StringVar(&o.name, "name", "", "what the keys begin with: nobody else's")
	flag.StringVar(&o.record, "record", "", "the key of the record, in the mode grouped")
	flag.IntVar(&o.inFlight, "in-flight", 1, "allocations in flight")
	flag.DurationVar(&o.warmUp, "warm-up", 0, "what is done in this time, at first, does not count")
	flag.DurationVar(&o.duration, "duration", 0, "how long it counts")
	flag.IntVar(&o.bytes, "bytes", 0, "the size of a value")
	flag.IntVar(&o.keys, "keys", 1, "how many keys there are, in the modes contended and owned")
	flag.Float64Var(&o.zipf, "zipf", 0, "the exponent by which they are drawn")
	flag.Parse()
	if err := run(o); err != nil {
		fmt.Fprintln(os.Stderr, "etcd-load:", err)
		os.Exit(1)
	}
}

func run(o options) error {
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{o.endpoint}, DialTimeout: 5 * time.Second})
	if err != nil {
		return err
	}
	defer client.Close()
	value := strings.Repeat("x", o.bytes)
	var workers []work
	switch o.mode {
	case "single":
		for i := range o.inFlight {
			workers = append(workers, createSingly(client, fmt.Sprintf("%s/%d", o.name, i), value))
		}
	case "grouped":
		workers = append(workers, createGrouped(client, o, value))
	case "contended":
		workers = createContended(client, o, value)
	case "owned":
		workers = createOwned(context.Background(), client, o, value)
	default:
		return fmt.Errorf("there is no mode %q; there are single, grouped, contended and owned", o.mode)
	}
	found, err := drive(workers, o)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(found)
}

func createSingly(client *clientv3.Client, name, value string) work {
	next := 0
	return func(ctx context.Context) (int, error) {
		key := fmt.Sprintf("address/%s/%d", name, next)
		next++
		answer, err := client.Txn(ctx).
			If(clientv3.Compare(clientv3.CreateRevision(key), "=", 0)).
			Then(clientv3.OpPut(key, value)).
			Commit()
		if err != nil || !answer.Succeeded {
			return 0, err
		}
		return 1, nil
	}
}

func createGrouped(client *clientv3.Client, o options, value string) work {
	next := 0
	recordRevision := int64(0)
	return func(ctx context.Context) (int, error) {
		conditions := []clientv3.Cmp{clientv3.Compare(clientv3.ModRevision(o.record), "=", recordRevision)}
		puts := []clientv3.Op{clientv3.OpPut(o.record, value)}
		for range o.inFlight {
			key := fmt.Sprintf("address/%s/%d", o.name, next)
			next++
			conditions = append(conditions, clientv3.Compare(clientv3.CreateRevision(key), "=", 0))
			puts = append(puts, clientv3.OpPut(key, value))
		}
		answer, err := client.Txn(ctx).If(conditions...).Then(puts...).Else(clientv3.OpGet(o.record)).Commit()
		if err != nil {
			return 0, err
		}
		if answer.Succeeded {
			recordRevision = answer.Header.Revision
			return o.inFlight, nil
		}
		for _, record := range answer.Responses[0].GetResponseRange().Kvs {
			recordRevision = record.ModRevision
		}
		return 0, nil
	}
}

// Each worker begins anew as soon as it is answered.
func drive(workers []work, o options) (report, error) {
	from := time.Now().Add(o.warmUp)
	to := from.Add(o.duration)
	ctx, cancel := context.WithDeadline(context.Background(), to.Add(20*time.Second))
	defer cancel()
	var lock sync.Mutex
	var group sync.WaitGroup
	var operations, failed int
	var latencies []time.Duration
	var failure error
	for _, do := range workers {
		group.Go(func() {
			for begun := time.Now(); begun.Before(to); {
				done, err := do(ctx)
				ended := time.Now()
				lock.Lock()
				if err != nil {
					failure = err
				} else if !ended.Before(from) && ended.Before(to) {
					operations += done
					if done == 0 {
						failed++
					} else {
						latencies = append(latencies, ended.Sub(begun))
					}
				}
				lock.Unlock()
				if err != nil {
					return
				}
				begun = ended
			}
		})
	}
	group.Wait()
	if failure != nil {
		return report{}, failure
	}
	slices.Sort(latencies)
	return report{
		OperationsPerSecond: float64(operations) / o.duration.Seconds(),
		Failed:              failed,
		P50Milliseconds:     percentile(latencies, 0.5),
		P99Milliseconds:     percentile(latencies, 0.99),
		Begun:               begun.Load(),
		Wasted:              wasted.Load(),
	}, nil
}

func percentile(sorted []time.Duration, share float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	return float64(sorted[max(0, int(share*float64(len(sorted)))-1)].Microseconds()) / 1000
}
