------------------------------- MODULE Levels -------------------------------
(***************************************************************************)
(* How a cluster goes from one level of formats to the next, while agents  *)
(* of several builds start, stop, lose their sessions and come back, and   *)
(* several finalizations compete.                                          *)
(*                                                                         *)
(* A build knows the levels 1..build: it reads all of them. An agent       *)
(* writes in the level that it last saw to be the cluster's. The cluster's *)
(* record has the level, and the one that a finalization prepares.         *)
(*                                                                         *)
(* Time is asynchronous: a process that is slow, paused, cut off or dead   *)
(* is one that takes no step. A transaction takes effect when it is sent.  *)
(*                                                                         *)
(* Break names rules that are turned off, to see that each is needed.      *)
(***************************************************************************)
EXTENDS Integers, FiniteSets, TLC

CONSTANTS
    Agents,     \* agents
    Newest,     \* builds know 1..n, for any n of 1..Newest
    Finals,     \* finalizations that may be under way at the same time
    Changes,    \* changes of the cluster's record
    Break       \* names of rules that are off

VARIABLES
    cluster,    \* etcd: [level, next, mod]; next 0: none is prepared
    live,       \* etcd: [agent -> the newest level of the build that is registered]; 0: none is
    agent,      \* [agent -> its process: what it does, its build, the record's mod and the level that it saw]
    final,      \* [finalization -> what it does, to which level, the record's mod after its first write]
    written     \* the newest level that anything was written in

vars == <<cluster, live, agent, final, written>>

Broken(rule) == rule \in Break
Max2(a, b) == IF a > b THEN a ELSE b
Builds == 1..Newest
Symmetry == Permutations(Agents) \cup Permutations(Finals)

Down == [does |-> "nothing", build |-> 0, mod |-> 0, level |-> 0]
Idle == [does |-> "nothing", to |-> 0, mod |-> 0]

Init ==
    /\ cluster = [level |-> 1, next |-> 0, mod |-> 1]
    /\ live = [a \in Agents |-> 0]
    /\ agent = [a \in Agents |-> Down]
    /\ final = [f \in Finals |-> Idle]
    /\ written = 1

Write(level, next) == cluster' = [level |-> level, next |-> next, mod |-> cluster.mod + 1]
MayWrite == cluster.mod < Changes

(***************************************************************************)
(* Agents.                                                                  *)
(***************************************************************************)

\* A build reads the record at its start, and again after it lost its session. It
\* refuses to go on if it doesn't know the level or the one that is prepared.
Look(a, build) ==
    /\ \/ agent[a].does = "nothing"
       \/ /\ agent[a].does = "serve" /\ live[a] = 0
          /\ build = agent[a].build
    /\ build >= (IF Broken("join what is prepared") THEN cluster.level ELSE Max2(cluster.level, cluster.next))
    /\ agent' = [agent EXCEPT ![a] = [does |-> "register", build |-> build, mod |-> cluster.mod, level |-> cluster.level]]
    /\ UNCHANGED <<cluster, live, final, written>>

Register(a) ==
    /\ agent[a].does = "register"
    /\ IF cluster.mod = agent[a].mod \/ Broken("register unguarded")
       THEN /\ live' = [live EXCEPT ![a] = agent[a].build]
            /\ agent' = [agent EXCEPT ![a].does = "serve"]
       ELSE /\ agent' = [agent EXCEPT ![a] = Down]
            /\ UNCHANGED live
    /\ UNCHANGED <<cluster, final, written>>

\* Its watch shows an agent the record as it is now, or never.
Learn(a) ==
    /\ agent[a].does = "serve"
    /\ agent' = [agent EXCEPT ![a].level = cluster.level]
    /\ UNCHANGED <<cluster, live, final, written>>

\* An agent writes whether or not it has a session.
Use(a) ==
    /\ agent[a].does = "serve"
    /\ written' = Max2(written, IF Broken("write what the build knows") THEN agent[a].build ELSE agent[a].level)
    /\ UNCHANGED <<cluster, live, agent, final>>

Expire(a) ==
    /\ live[a] # 0
    /\ live' = [live EXCEPT ![a] = 0]
    /\ UNCHANGED <<cluster, agent, final, written>>

Stop(a) ==
    /\ agent[a].does # "nothing"
    /\ live' = [live EXCEPT ![a] = 0]
    /\ agent' = [agent EXCEPT ![a] = Down]
    /\ UNCHANGED <<cluster, final, written>>

(***************************************************************************)
(* Finalizations. Whoever stops on the way leaves the rest to the next.     *)
(***************************************************************************)

Prepare(f, to) ==
    /\ final[f].does = "nothing" /\ to > cluster.level /\ MayWrite
    /\ IF Broken("finalize at once")
       THEN final' = [final EXCEPT ![f] = [does |-> "ask", to |-> to, mod |-> cluster.mod]] /\ UNCHANGED cluster
       ELSE /\ Write(cluster.level, to)
            /\ final' = [final EXCEPT ![f] = [does |-> "ask", to |-> to, mod |-> cluster.mod + 1]]
    /\ UNCHANGED <<live, agent, written>>

Ask(f) ==
    /\ final[f].does = "ask"
    /\ final' = [final EXCEPT ![f].does = IF \A a \in Agents : live[a] = 0 \/ live[a] >= final[f].to THEN "raise" ELSE "give up"]
    /\ UNCHANGED <<cluster, live, agent, written>>

Mine(f) == cluster.mod = final[f].mod \/ Broken("raise unguarded")

Raise(f) ==
    /\ final[f].does = "raise" /\ MayWrite
    /\ IF Mine(f) THEN Write(Max2(cluster.level, final[f].to), 0) ELSE UNCHANGED cluster
    /\ final' = [final EXCEPT ![f] = Idle]
    /\ UNCHANGED <<live, agent, written>>

GiveUp(f) ==
    /\ final[f].does = "give up" /\ MayWrite
    /\ IF Mine(f) THEN Write(cluster.level, 0) ELSE UNCHANGED cluster
    /\ final' = [final EXCEPT ![f] = Idle]
    /\ UNCHANGED <<live, agent, written>>

Next ==
    \/ \E a \in Agents : Register(a) \/ Learn(a) \/ Use(a) \/ Expire(a) \/ Stop(a) \/ \E b \in Builds : Look(a, b)
    \/ \E f \in Finals : Ask(f) \/ Raise(f) \/ GiveUp(f) \/ \E to \in Builds : Prepare(f, to)

Spec == Init /\ [][Next]_vars

(***************************************************************************)
(* Promises.                                                                *)
(***************************************************************************)

\* No agent is in the cluster that doesn't know what others may write, or have written.
AllCanRead == \A a \in Agents : live[a] # 0 => (live[a] >= cluster.level /\ live[a] >= written)

\* Before the cluster is at a level nothing is written in it: one can go back to the build before.
CanGoBack == written <= cluster.level

Grows == [][cluster'.level >= cluster.level]_vars

\* Not promises: that they break shows that the model reaches what it is about.
NeverRaised == cluster.level = 1 \/ \E a \in Agents : live[a] = 0
NeverGivenUp == \A f \in Finals : final[f].does # "give up"
=============================================================================
