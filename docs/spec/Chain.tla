------------------------------- MODULE Chain -------------------------------
(***************************************************************************)
(* One partition among several incarnations: owners and epochs, the chain  *)
(* of ranges in journals, adoption, heirs that die before their upload,    *)
(* moves on purpose, uploads to the tier and trimming; and what else       *)
(* changes the tier beside uploads: retention, and rewriters that replace  *)
(* slices by others with the same records.                                 *)
(*                                                                         *)
(* A journal is here what Journal.tla is checked to be: while it is open   *)
(* its entries are committed in order; at some moment its end is decided,  *)
(* at or above everything that was committed and shown, for good; from     *)
(* then on nothing beyond is committed. All the journals of an incarnation *)
(* count as one, in order. A false verdict of death is Recover, at any     *)
(* time.                                                                   *)
(*                                                                         *)
(* A record's content is who wrote it: its writer and epoch.               *)
(***************************************************************************)
EXTENDS Integers, Sequences, FiniteSets, TLC

CONSTANTS
    Agents,     \* incarnations are 1..Agents; 1 is the first owner
    Records,    \* offsets are 1..Records
    Epochs,     \* the last epoch
    Rewrites,   \* how many rewrites begin
    Cuts,       \* the highest log start, as the last offset that is gone
    Break       \* names of rules that are off

VARIABLES
    head,       \* etcd, one key: owner, epoch, chain of [writer, epoch]; another key: slices that it names
                \* in the bucket, end of the tier, start: the last offset that retention gave up.
                \* A write compares the first key and changes either or both; a read is of one key
    known,      \* [incarnation -> what it has read of the head to adopt it; <<>>: nothing]
    state,      \* [incarnation -> its journals are "none", "open" or "sealed"]
    log,        \* [incarnation -> sequence of [epoch, offset]]: the partition's records in its journals
    committed,  \* [incarnation -> how many of log are committed, as it knows]
    end,        \* [incarnation -> how many of log count, once sealed]
    trimmed,    \* [incarnation -> how many of log are gone]
    epoch,      \* [incarnation -> as which owner it serves; 0: it doesn't]
    view,       \* [incarnation -> the partition as it believes it is: contents by offset]
    quiet,      \* the incarnations that paused the partition to move it
    object,     \* [incarnation -> end of what it has put into the bucket and not yet committed; 0 none]
    edits,      \* rewrites whose object is in the bucket and not yet committed
    rewritten,  \* how many rewrites have begun
    gone,       \* objects that the collector may have deleted
    acked,      \* {<<offset, content>>} acknowledged
    shown       \* {<<offset, content>>} shown by heirs

tier == <<edits, rewritten, gone>>
vars == <<head, known, state, log, committed, end, trimmed, epoch, view, quiet, object, edits, rewritten, gone, acked, shown>>
Broken(rule) == rule \in Break
All == 1..Agents
Tiered == head.end
Last(slice) == slice.first + Len(slice.by) - 1
Named(slices) == {slices[k].object : k \in 1..Len(slices)}

\* What a list of slices holds, as {<<offset, content>>}.
Held(slices) == UNION {{<<slices[k].first + n - 1, slices[k].by[n]>> : n \in 1..Len(slices[k].by)} : k \in 1..Len(slices)}
Above(pairs, start) == {p \in pairs : p[1] > start}

Init ==
    /\ head = [owner |-> 1, epoch |-> 1, chain |-> <<[writer |-> 1, epoch |-> 1]>>, slices |-> <<>>, end |-> 0, start |-> 0]
    /\ state = [i \in All |-> IF i = 1 THEN "open" ELSE "none"]
    /\ log = [i \in All |-> <<>>]
    /\ committed = [i \in All |-> 0] /\ end = committed /\ trimmed = committed /\ object = committed
    /\ epoch = [i \in All |-> IF i = 1 THEN 1 ELSE 0]
    /\ view = [i \in All |-> <<>>]
    /\ known = [i \in All |-> <<>>]
    /\ quiet = {} /\ acked = {} /\ shown = {} /\ edits = {} /\ rewritten = 0 /\ gone = {}

(***************************************************************************)
(* Reading the chain.                                                      *)
(***************************************************************************)

\* How far a journal's entries count.
Until(w) == IF Broken("ignore the end") THEN Len(log[w])
            ELSE IF state[w] = "sealed" THEN end[w] ELSE committed[w]
Range(link, tiered) ==
    LET w == link.writer
        counts(r) == r.offset > tiered /\ (r.epoch = link.epoch \/ Broken("ignore the epochs"))
    IN  SelectSeq(SubSeq(log[w], trimmed[w] + 1, Until(w)), counts)
Content(w, r) == [offset |-> r.offset, by |-> <<w, r.epoch>>]

RECURSIVE Follow(_, _)
Follow(chain, tiered) ==
    IF chain = <<>> THEN <<>>
    ELSE LET link == Head(chain)
             range == Range(link, tiered)
         IN  [k \in 1..Len(range) |-> Content(link.writer, range[k])] \o Follow(SubSeq(chain, 2, Len(chain)), tiered)
By(tail) == [k \in 1..Len(tail) |-> tail[k].by]
Dense(tail) == \A k \in 1..Len(tail) : tail[k].offset = Tiered + k

\* What the partition is, as etcd, the bucket and the journals have it: {<<offset, content>>}.
Journaled == Follow(head.chain, Tiered)
History == Held(head.slices) \cup {<<r.offset, r.by>> : r \in {Journaled[k] : k \in 1..Len(Journaled)}}

\* The tier by offset, for its next owner. What retention gave up is <<>>.
Contents(slices, tiered) == [o \in 1..tiered |->
    IF \E p \in Held(slices) : p[1] = o THEN (CHOOSE p \in Held(slices) : p[1] = o)[2] ELSE <<>>]
Pairs(contents) == {<<o, contents[o]>> : o \in {o \in 1..Len(contents) : contents[o] # <<>>}}

(***************************************************************************)
(* Owners, and those that believe they are.                                *)
(***************************************************************************)

Open(i) ==
    /\ state[i] = "none"
    /\ state' = [state EXCEPT ![i] = "open"]
    /\ UNCHANGED <<known, head, log, committed, end, trimmed, epoch, view, quiet, object, tier, acked, shown>>

Append1(i) ==
    /\ epoch[i] > 0 /\ i \notin quiet /\ state[i] # "none" /\ Len(view[i]) < Records
    /\ log' = [log EXCEPT ![i] = Append(@, [epoch |-> epoch[i], offset |-> Len(view[i]) + 1])]
    /\ view' = [view EXCEPT ![i] = Append(@, <<i, epoch[i]>>)]
    /\ UNCHANGED <<known, head, state, committed, end, trimmed, epoch, quiet, object, tier, acked, shown>>

\* Also late: an answer that was under way when the journal was sealed.
Commit(i) ==
    LET n == committed[i] + 1
        r == log[i][n]
    IN  /\ n <= Len(log[i]) /\ (state[i] = "open" \/ n <= end[i])
        /\ committed' = [committed EXCEPT ![i] = n]
        /\ acked' = acked \cup {<<r.offset, <<i, r.epoch>>>>}
        /\ UNCHANGED <<known, head, state, log, end, trimmed, epoch, view, quiet, object, tier, shown>>

Uploaded(i, to) == <<"upload", i, epoch[i], to>>
HighWatermark(i) == Len(view[i]) - (Len(log[i]) - committed[i])

(***************************************************************************)
(* Death and inheritance.                                                  *)
(***************************************************************************)

Recover(i) ==
    /\ state[i] = "open"
    /\ state' = [state EXCEPT ![i] = "sealed"]
    /\ \E n \in committed[i]..Len(log[i]) : end' = [end EXCEPT ![i] = n]
    /\ UNCHANGED <<known, head, log, committed, trimmed, epoch, view, quiet, object, tier, acked, shown>>

\* What an incarnation has in the bucket that no head names. The collector spares it as long
\* as that is the owner.
Pending(i) == {Uploaded(i, object[i])} \cup {<<"rewrite", e.n>> : e \in {e \in edits : e.by = i}}

Given(i) == [head EXCEPT !.owner = i, !.epoch = @ + 1,
                         !.chain = Append(@, [writer |-> i, epoch |-> head.epoch + 1])]

\* The owner has no open journal and can never open one again. That the heir's
\* own journal is open still is not compared: if not, there will be another heir.
Assign(i) ==
    /\ i # head.owner /\ head.epoch < Epochs
    /\ state[head.owner] # "open" \/ Broken("trust the lease")
    /\ state[i] # "none" \/ Broken("assign before a journal")
    /\ head' = Given(i)
    /\ gone' = gone \cup Pending(head.owner)
    /\ UNCHANGED <<known, state, log, committed, end, trimmed, epoch, view, quiet, object, edits, rewritten, acked, shown>>

\* An owner reads the key that names it, and then, in another step, what the tier has. In
\* between anything may happen: it may have lost the partition, and others may have uploaded.
Learn(i) ==
    /\ known[i] = <<>>
    /\ \/ head.owner = i /\ (epoch[i] # head.epoch \/ Broken("owner by an old picture"))
       \/ head.owner # i /\ Broken("tier before owner")
    /\ known' = [known EXCEPT ![i] = <<head>>]
    /\ UNCHANGED <<head, state, log, committed, end, trimmed, epoch, view, quiet, object, tier, acked, shown>>

Adopt(i) ==
    LET other == known[i][1]
        owned == IF Broken("tier before owner") THEN head ELSE other
        tiered == IF Broken("tier before owner") THEN other ELSE head
        chain == IF Broken("last link only")
                 THEN SelectSeq(owned.chain, LAMBDA link : link.epoch = owned.epoch - 1)
                 ELSE owned.chain
        tail == Follow(chain, tiered.end)
    IN  /\ known[i] # <<>> /\ Len(owned.chain) > 0
        /\ known' = IF Broken("owner by an old picture") THEN known ELSE [known EXCEPT ![i] = <<>>]
        /\ IF owned.owner = i /\ (epoch[i] < owned.epoch \/ (Broken("owner by an old picture") /\ epoch[i] # head.epoch))
           THEN /\ epoch' = [epoch EXCEPT ![i] = owned.epoch]
                /\ view' = [view EXCEPT ![i] = Contents(tiered.slices, tiered.end) \o By(tail)]
                /\ shown' = shown \cup Pairs(view'[i])
                /\ quiet' = quiet \ {i}
                /\ object' = [object EXCEPT ![i] = 0]   \* an upload of an earlier epoch can't commit any more
           ELSE UNCHANGED <<epoch, view, shown, quiet, object>>
        /\ UNCHANGED <<head, state, log, committed, end, trimmed, tier, acked>>

(***************************************************************************)
(* The tier.                                                               *)
(***************************************************************************)

Put(i) ==
    LET to == IF Broken("upload uncommitted") THEN Len(view[i]) ELSE HighWatermark(i)
    IN  /\ epoch[i] > 0 /\ object[i] = 0 /\ to > Tiered
        /\ object' = [object EXCEPT ![i] = to]
        /\ UNCHANGED <<known, head, state, log, committed, end, trimmed, epoch, view, quiet, tier, acked, shown>>

\* Links before the owner's go once the tier has all of them.
Pruned(chain, tiered) ==
    LET rest(link) == \E k \in 1..Until(link.writer) :
            log[link.writer][k].epoch = link.epoch /\ log[link.writer][k].offset > tiered
        keep(link) == link = chain[Len(chain)] \/ rest(link)
    IN  SelectSeq(chain, keep)

Slice(i, from) == [first |-> from, by |-> SubSeq(view[i], from, object[i]), object |-> Uploaded(i, object[i]), done |-> {}]

CommitHead(i) ==
    /\ object[i] > 0
    /\ object' = [object EXCEPT ![i] = 0]
    /\ IF head.owner = i /\ head.epoch = epoch[i] /\ object[i] > Tiered
       THEN head' = [head EXCEPT !.slices = Append(@, Slice(i, Tiered + 1)), !.end = object[i], !.chain = Pruned(@, object[i])]
       ELSE IF Broken("commit unguarded")
       THEN head' = [owner |-> i, epoch |-> epoch[i], slices |-> <<Slice(i, 1)>>, end |-> object[i], start |-> head.start,
                     chain |-> <<[writer |-> i, epoch |-> epoch[i]]>>]
       ELSE head' = head
    /\ UNCHANGED <<known, state, log, committed, end, trimmed, epoch, view, quiet, tier, acked, shown>>

Trim(w) ==
    LET n == trimmed[w] + 1
        offset == log[w][n].offset
    IN  /\ n <= Len(log[w])
        /\ offset <= Tiered \/ (Broken("trim before commit") /\ \E i \in All : offset <= object[i])
        /\ trimmed' = [trimmed EXCEPT ![w] = n]
        /\ UNCHANGED <<known, head, state, log, committed, end, epoch, view, quiet, object, tier, acked, shown>>

(***************************************************************************)
(* What else changes the tier. What a head stops to name is gone at once:  *)
(* the collector can't be quicker.                                         *)
(***************************************************************************)

\* Retention and DeleteRecords give up whole slices, from the start of the log on.
Cut(i, to) ==
    LET kept == SelectSeq(head.slices, LAMBDA slice : Last(slice) > to)
    IN  /\ head.owner = i /\ epoch[i] = head.epoch /\ to > head.start /\ to <= Tiered
        /\ head' = [head EXCEPT !.slices = kept, !.start = to]
        /\ gone' = gone \cup (Named(head.slices) \ Named(kept))
        /\ UNCHANGED <<known, state, log, committed, end, trimmed, epoch, view, quiet, object, edits, rewritten, acked, shown>>

\* A rewriter reads some slices and puts one object in their place, which takes long: all
\* else goes on meanwhile.
Rewrite(i, a, b) ==
    /\ rewritten < Rewrites /\ head.owner = i /\ epoch[i] = head.epoch
    /\ rewritten' = rewritten + 1
    /\ edits' = edits \cup {[by |-> i, epoch |-> epoch[i], n |-> rewritten', was |-> SubSeq(head.slices, a, b), seen |-> head.end,
                              head |-> IF Broken("write back what was read") THEN head ELSE <<>>]}
    /\ UNCHANGED <<known, head, state, log, committed, end, trimmed, epoch, view, quiet, object, gone, acked, shown>>

RECURSIVE Joined(_)
Joined(slices) == IF slices = <<>> THEN <<>> ELSE Head(slices).by \o Joined(Tail(slices))
Rewritten(e) == [first |-> e.was[1].first, by |-> Joined(e.was), object |-> <<"rewrite", e.n>>,
                 done |-> {e.n} \cup UNION {e.was[k].done : k \in 1..Len(e.was)}]

\* Where slices follow each other in a list.
Places(slices, was) == {k \in 1..(Len(slices) - Len(was) + 1) : SubSeq(slices, k, k + Len(was) - 1) = was}
Replaced(slices, was, new) ==
    LET k == CHOOSE k \in Places(slices, was) : TRUE
    IN  SubSeq(slices, 1, k - 1) \o <<new>> \o SubSeq(slices, k + Len(was), Len(slices))
\* The range is replaced whatever it consists of by now.
Covered(slices, new) ==
    SelectSeq(slices, LAMBDA s : Last(s) < new.first) \o <<new>> \o SelectSeq(slices, LAMBDA s : s.first > Last(new))

\* The newest head changes in the replaced range only, and only if that still consists of
\* what was read.
CommitRewrite(e) ==
    LET new == Rewritten(e)
        owns == (head.owner = e.by /\ head.epoch = e.epoch) \/ Broken("rewrite unguarded")
        same == Places(head.slices, e.was) # {}
    IN  /\ edits' = edits \ {e}
        /\ IF owns /\ Broken("write back what was read")
           THEN head' = [head EXCEPT !.slices = Replaced(e.head.slices, e.was, new), !.end = e.head.end, !.start = e.head.start]
           ELSE IF owns /\ same
           THEN head' = [head EXCEPT !.slices = Replaced(@, e.was, new)]
           ELSE IF owns /\ Broken("replace by offsets")
           THEN head' = [head EXCEPT !.slices = Covered(@, new)]
           ELSE head' = head
        /\ gone' = gone \cup ((Named(head.slices) \cup {new.object}) \ Named(head'.slices))
        /\ UNCHANGED <<known, state, log, committed, end, trimmed, epoch, view, quiet, object, rewritten, acked, shown>>

(***************************************************************************)
(* Moving on purpose: flush, then flip. Nobody needs to be dead.           *)
(***************************************************************************)

Pause(i) ==
    /\ head.owner = i /\ epoch[i] = head.epoch /\ i \notin quiet
    /\ quiet' = quiet \cup {i}
    /\ UNCHANGED <<known, head, state, log, committed, end, trimmed, epoch, view, object, tier, acked, shown>>

Flip(i, k) ==
    /\ i \in quiet /\ head.owner = i /\ epoch[i] = head.epoch /\ i # k /\ head.epoch < Epochs
    /\ Len(log[i]) = committed[i] \/ Broken("flip with appends under way")
    /\ Tiered = HighWatermark(i)
    /\ state[k] # "none"
    /\ head' = [Given(k) EXCEPT !.chain = <<[writer |-> k, epoch |-> head.epoch + 1]>>]
    /\ gone' = gone \cup Pending(i)
    /\ UNCHANGED <<known, state, log, committed, end, trimmed, epoch, view, quiet, object, edits, rewritten, acked, shown>>

\* An answer of etcd that didn't come is no "no". The owner goes on only when it
\* has read that it still is the owner, at a revision after which the flip can't
\* be applied any more; here that is never.
Resume(i) ==
    /\ Broken("resume without an answer") /\ i \in quiet
    /\ quiet' = quiet \ {i}
    /\ UNCHANGED <<known, head, state, log, committed, end, trimmed, epoch, view, object, tier, acked, shown>>

Next ==
    \E i \in All :
        \/ Open(i) \/ Append1(i) \/ Commit(i) \/ Recover(i) \/ Assign(i) \/ Learn(i) \/ Adopt(i)
        \/ Put(i) \/ CommitHead(i) \/ Trim(i) \/ Pause(i) \/ Resume(i)
        \/ \E k \in All : Flip(i, k)
        \/ \E to \in 1..Cuts : Cut(i, to)
        \/ \E a \in 1..Len(head.slices) : \E b \in a..Len(head.slices) : Rewrite(i, a, b)
        \/ \E e \in edits : e.by = i /\ CommitRewrite(e)

Spec == Init /\ [][Next]_vars

(***************************************************************************)
(* The promises.                                                           *)
(***************************************************************************)

AckedIsKept == Above(acked, head.start) \subseteq History
NoTakeBacks == Above(shown, head.start) \subseteq History
OneHistory ==
    /\ Dense(Journaled)
    /\ \A k \in 1..(Len(head.slices) - 1) : head.slices[k + 1].first = Last(head.slices[k]) + 1
    /\ Tiered > head.start => /\ head.slices # <<>>
                              /\ head.slices[1].first <= head.start + 1 /\ Last(head.slices[Len(head.slices)]) = Tiered
    /\ \A a, b \in acked \cup shown : a[1] = b[1] => a[2] = b[2]

\* What a head names is in the bucket.
NothingDangles == Named(head.slices) \cap gone = {}

\* Not a promise: that it is broken shows that the model gets somewhere. A third
\* owner inherits what two before it acknowledged and didn't upload.
NeverInheritedTwice ==
    ~(/\ Tiered = 0 /\ acked = History /\ shown = acked
      /\ \E a, b \in acked : a[2][1] # b[2][1] /\ head.owner \notin {a[2][1], b[2][1]})

\* Nor is this: a rewrite is committed on a head with an upload and a cut that it hasn't seen.
NeverRebased == [][~\E e \in edits : e \notin edits' /\ head' # head /\ e.seen < head.end /\ head.start > 0]_vars

\* What the tier has stays, but for what retention gives up, and owners follow each other.
Final ==
    [][/\ head.end <= head'.end /\ head.start <= head'.start
       /\ Above(Held(head.slices), head'.start) \subseteq Held(head'.slices)
       /\ head'.epoch >= head.epoch]_vars

\* What one rewrite did no other undoes.
RewritesStay ==
    [][\A k \in 1..Len(head.slices) : \A n \in head.slices[k].done :
        Last(head.slices[k]) <= head'.start \/ \E m \in 1..Len(head'.slices) : n \in head'.slices[m].done]_vars
=============================================================================
