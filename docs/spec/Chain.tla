------------------------------- MODULE Chain -------------------------------
(***************************************************************************)
(* One partition among several incarnations: owners and epochs, the chain  *)
(* of ranges in journals, adoption, heirs that die before their upload,    *)
(* moves on purpose, uploads to the tier and trimming.                     *)
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
    Break       \* names of rules that are off

VARIABLES
    head,       \* etcd: owner, epoch, chain of [writer, epoch], tier: what it names in the bucket
    state,      \* [incarnation -> its journals are "none", "open" or "sealed"]
    log,        \* [incarnation -> sequence of [epoch, offset]]: the partition's records in its journals
    committed,  \* [incarnation -> how many of log are committed, as it knows]
    end,        \* [incarnation -> how many of log count, once sealed]
    trimmed,    \* [incarnation -> how many of log are gone]
    epoch,      \* [incarnation -> as which owner it serves; 0: it doesn't]
    view,       \* [incarnation -> the partition as it believes it is: contents by offset]
    quiet,      \* the incarnations that paused the partition to move it
    object,     \* [incarnation -> end of what it has put into the bucket and not yet committed; 0 none]
    acked,      \* {<<offset, content>>} acknowledged
    shown       \* {<<offset, content>>} shown by heirs

vars == <<head, state, log, committed, end, trimmed, epoch, view, quiet, object, acked, shown>>
Broken(rule) == rule \in Break
All == 1..Agents
Pairs(contents) == {<<o, contents[o]>> : o \in 1..Len(contents)}
Tiered == Len(head.tier)

Init ==
    /\ head = [owner |-> 1, epoch |-> 1, chain |-> <<[writer |-> 1, epoch |-> 1]>>, tier |-> <<>>]
    /\ state = [i \in All |-> IF i = 1 THEN "open" ELSE "none"]
    /\ log = [i \in All |-> <<>>]
    /\ committed = [i \in All |-> 0] /\ end = committed /\ trimmed = committed /\ object = committed
    /\ epoch = [i \in All |-> IF i = 1 THEN 1 ELSE 0]
    /\ view = [i \in All |-> <<>>]
    /\ quiet = {} /\ acked = {} /\ shown = {}

(***************************************************************************)
(* Reading the chain.                                                      *)
(***************************************************************************)

\* How far a journal's entries count.
Until(w) == IF Broken("ignore the end") THEN Len(log[w])
            ELSE IF state[w] = "sealed" THEN end[w] ELSE committed[w]
Range(link) ==
    LET w == link.writer
        counts(r) == r.offset > Tiered /\ (r.epoch = link.epoch \/ Broken("ignore the epochs"))
    IN  SelectSeq(SubSeq(log[w], trimmed[w] + 1, Until(w)), counts)
Content(w, r) == [offset |-> r.offset, by |-> <<w, r.epoch>>]

RECURSIVE Follow(_)
Follow(chain) ==
    IF chain = <<>> THEN <<>>
    ELSE LET link == Head(chain)
             range == Range(link)
         IN  [k \in 1..Len(range) |-> Content(link.writer, range[k])] \o Follow(SubSeq(chain, 2, Len(chain)))
By(tail) == [k \in 1..Len(tail) |-> tail[k].by]
Dense(tail) == \A k \in 1..Len(tail) : tail[k].offset = Tiered + k

\* What the partition is, as etcd, the bucket and the journals have it.
History == head.tier \o By(Follow(head.chain))

(***************************************************************************)
(* Owners, and those that believe they are.                                *)
(***************************************************************************)

Open(i) ==
    /\ state[i] = "none"
    /\ state' = [state EXCEPT ![i] = "open"]
    /\ UNCHANGED <<head, log, committed, end, trimmed, epoch, view, quiet, object, acked, shown>>

Append1(i) ==
    /\ epoch[i] > 0 /\ i \notin quiet /\ state[i] # "none" /\ Len(view[i]) < Records
    /\ log' = [log EXCEPT ![i] = Append(@, [epoch |-> epoch[i], offset |-> Len(view[i]) + 1])]
    /\ view' = [view EXCEPT ![i] = Append(@, <<i, epoch[i]>>)]
    /\ UNCHANGED <<head, state, committed, end, trimmed, epoch, quiet, object, acked, shown>>

\* Also late: an answer that was under way when the journal was sealed.
Commit(i) ==
    LET n == committed[i] + 1
        r == log[i][n]
    IN  /\ n <= Len(log[i]) /\ (state[i] = "open" \/ n <= end[i])
        /\ committed' = [committed EXCEPT ![i] = n]
        /\ acked' = acked \cup {<<r.offset, <<i, r.epoch>>>>}
        /\ UNCHANGED <<head, state, log, end, trimmed, epoch, view, quiet, object, shown>>

HighWatermark(i) == Len(view[i]) - (Len(log[i]) - committed[i])

(***************************************************************************)
(* Death and inheritance.                                                  *)
(***************************************************************************)

Recover(i) ==
    /\ state[i] = "open"
    /\ state' = [state EXCEPT ![i] = "sealed"]
    /\ \E n \in committed[i]..Len(log[i]) : end' = [end EXCEPT ![i] = n]
    /\ UNCHANGED <<head, log, committed, trimmed, epoch, view, quiet, object, acked, shown>>

Given(i) == [head EXCEPT !.owner = i, !.epoch = @ + 1,
                         !.chain = Append(@, [writer |-> i, epoch |-> head.epoch + 1])]

\* The owner has no open journal and can never open one again. That the heir's
\* own journal is open still is not compared: if not, there will be another heir.
Assign(i) ==
    /\ i # head.owner /\ head.epoch < Epochs
    /\ state[head.owner] # "open" \/ Broken("trust the lease")
    /\ state[i] # "none" \/ Broken("assign before a journal")
    /\ head' = Given(i)
    /\ UNCHANGED <<state, log, committed, end, trimmed, epoch, view, quiet, object, acked, shown>>

Adopt(i) ==
    LET chain == IF Broken("last link only") 
                 THEN SelectSeq(head.chain, LAMBDA link : link.epoch = head.epoch - 1)
                 ELSE head.chain
        tail == Follow(chain)
    IN  /\ head.owner = i /\ epoch[i] # head.epoch /\ Len(head.chain) > 0
        /\ epoch' = [epoch EXCEPT ![i] = head.epoch]
        /\ view' = [view EXCEPT ![i] = head.tier \o By(tail)]
        /\ shown' = shown \cup Pairs(view'[i])
        /\ quiet' = quiet \ {i}
        /\ object' = [object EXCEPT ![i] = 0]   \* an upload of an earlier epoch can't commit any more
        /\ UNCHANGED <<head, state, log, committed, end, trimmed, acked>>

(***************************************************************************)
(* The tier.                                                               *)
(***************************************************************************)

Put(i) ==
    LET to == IF Broken("upload uncommitted") THEN Len(view[i]) ELSE HighWatermark(i)
    IN  /\ epoch[i] > 0 /\ object[i] = 0 /\ to > Tiered
        /\ object' = [object EXCEPT ![i] = to]
        /\ UNCHANGED <<head, state, log, committed, end, trimmed, epoch, view, quiet, acked, shown>>

\* Links before the owner's go once the tier has all of them.
Pruned(chain, tiered) ==
    LET rest(link) == \E k \in 1..Until(link.writer) :
            log[link.writer][k].epoch = link.epoch /\ log[link.writer][k].offset > tiered
        keep(link) == link = chain[Len(chain)] \/ rest(link)
    IN  SelectSeq(chain, keep)

CommitHead(i) ==
    /\ object[i] > 0
    /\ object' = [object EXCEPT ![i] = 0]
    /\ IF head.owner = i /\ head.epoch = epoch[i] /\ object[i] > Tiered
       THEN head' = [head EXCEPT !.tier = SubSeq(view[i], 1, object[i]), !.chain = Pruned(@, object[i])]
       ELSE IF Broken("commit unguarded")
       THEN head' = [owner |-> i, epoch |-> epoch[i], tier |-> SubSeq(view[i], 1, object[i]),
                     chain |-> <<[writer |-> i, epoch |-> epoch[i]]>>]
       ELSE head' = head
    /\ UNCHANGED <<state, log, committed, end, trimmed, epoch, view, quiet, acked, shown>>

Trim(w) ==
    LET n == trimmed[w] + 1
        offset == log[w][n].offset
    IN  /\ n <= Len(log[w])
        /\ offset <= Tiered \/ (Broken("trim before commit") /\ \E i \in All : offset <= object[i])
        /\ trimmed' = [trimmed EXCEPT ![w] = n]
        /\ UNCHANGED <<head, state, log, committed, end, epoch, view, quiet, object, acked, shown>>

(***************************************************************************)
(* Moving on purpose: flush, then flip. Nobody needs to be dead.           *)
(***************************************************************************)

Pause(i) ==
    /\ head.owner = i /\ epoch[i] = head.epoch /\ i \notin quiet
    /\ quiet' = quiet \cup {i}
    /\ UNCHANGED <<head, state, log, committed, end, trimmed, epoch, view, object, acked, shown>>

Flip(i, k) ==
    /\ i \in quiet /\ head.owner = i /\ epoch[i] = head.epoch /\ i # k /\ head.epoch < Epochs
    /\ Len(log[i]) = committed[i] \/ Broken("flip with appends under way")
    /\ Tiered = HighWatermark(i)
    /\ state[k] # "none"
    /\ head' = [Given(k) EXCEPT !.chain = <<[writer |-> k, epoch |-> head.epoch + 1]>>]
    /\ UNCHANGED <<state, log, committed, end, trimmed, epoch, view, quiet, object, acked, shown>>

\* An answer of etcd that didn't come is no "no". The owner goes on only when it
\* has read that it still is the owner, at a revision after which the flip can't
\* be applied any more; here that is never.
Resume(i) ==
    /\ Broken("resume without an answer") /\ i \in quiet
    /\ quiet' = quiet \ {i}
    /\ UNCHANGED <<head, state, log, committed, end, trimmed, epoch, view, object, acked, shown>>

Next ==
    \E i \in All :
        \/ Open(i) \/ Append1(i) \/ Commit(i) \/ Recover(i) \/ Assign(i) \/ Adopt(i)
        \/ Put(i) \/ CommitHead(i) \/ Trim(i) \/ Pause(i) \/ Resume(i)
        \/ \E k \in All : Flip(i, k)

Spec == Init /\ [][Next]_vars

(***************************************************************************)
(* The promises.                                                           *)
(***************************************************************************)

AckedIsKept == acked \subseteq Pairs(History)
NoTakeBacks == shown \subseteq Pairs(History)
OneHistory ==
    /\ Dense(Follow(head.chain))
    /\ \A a, b \in acked \cup shown : a[1] = b[1] => a[2] = b[2]

\* Not a promise: that it is broken shows that the model gets somewhere. A third
\* owner inherits what two before it acknowledged and didn't upload.
NeverInheritedTwice ==
    ~(head.tier = <<>> /\ Len(History) = 2 /\ acked = Pairs(History) /\ shown = acked
      /\ History[1][1] # History[2][1] /\ head.owner \notin {History[1][1], History[2][1]})

\* What the tier has stays, and owners follow each other.
Final ==
    [][/\ Len(head.tier) <= Len(head'.tier)
       /\ SubSeq(head'.tier, 1, Len(head.tier)) = head.tier
       /\ head'.epoch >= head.epoch]_vars
=============================================================================
