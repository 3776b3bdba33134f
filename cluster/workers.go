package cluster

import "sync"

// workers handle jobs in the order in which they come, up to a number at a time.
//
// optimization: the goroutine that has handled a job last gets the next one: its stack has grown, and its memory is in the processor's cache
// (BenchmarkCall).
type workers struct {
	run   func(*job)
	most  int
	alive sync.WaitGroup

	changing sync.Mutex
	started  int
	idle     []chan *job // the last one has worked last
	waiting  []*job
	closed   bool
}

// give has a job handled when its turn comes. It does not wait.
func (w *workers) give(j *job) {
	w.changing.Lock()
	defer w.changing.Unlock()
	if n := len(w.idle); n > 0 {
		w.idle[n-1] <- j // the channel has room for one
		w.idle = w.idle[:n-1]
		return
	}
	if w.started == w.most {
		w.waiting = append(w.waiting, j)
		return
	}
	w.started++
	w.alive.Add(1)
	go w.work(make(chan *job, 1), j)
}

// work handles a job, and others after it.
func (w *workers) work(jobs chan *job, j *job) {
	ended := false
	defer func() {
		if !ended { // a handler has ended the goroutine by runtime.Goexit
			go w.work(jobs, nil)
			return
		}
		w.alive.Done()
	}()
	if j != nil {
		w.run(j)
	}
	for j = w.next(jobs); j != nil; j = w.next(jobs) {
		w.run(j)
	}
	ended = true
}

// next returns the next job, or nil if no more will come.
func (w *workers) next(jobs chan *job) *job {
	w.changing.Lock()
	if len(w.waiting) > 0 {
		j := w.waiting[0]
		w.waiting[0] = nil
		w.waiting = w.waiting[1:]
		w.changing.Unlock()
		return j
	}
	if w.closed {
		w.changing.Unlock()
		return nil
	}
	w.idle = append(w.idle, jobs)
	w.changing.Unlock()
	return <-jobs
}

// close waits until all jobs have been handled. After it only jobs may give jobs.
func (w *workers) close() {
	w.changing.Lock()
	w.closed = true
	for _, jobs := range w.idle {
		close(jobs)
	}
	w.idle = nil
	w.changing.Unlock()
	w.alive.Wait()
}
