# The story of the demonstration.
title = kouan: three agencies publish, request, approve, transfer, refuse and prove
founded = { $count } nodes founded a federation: own directories, keys, TLS, Raft, ledgers
between-shangmi = between the nodes: mutual TLS 1.3 with SM2 certificates, { $suite }, curveSM2, sm2sig_sm3 (RFC 8998)
between-standard = between the nodes: mutual TLS 1.3, { $suite }
publish = Guangzhou publishes { $rows } rows of port traffic ({ $size } CSV) under the data standard
published = version { $version }: { $rows } rows published, { $quarantined } quarantined with reasons, { $stored } Parquet, { $seconds } s ({ $rate })
dirty = Guangzhou uploads a dirty file: { $rows } rows, { $faulty } of them wrong
gate = the gate refuses it, { $code }: { $detail }
still-serving = version { $version } keeps serving
request = Shenzhen asks for "{ $title }" with purpose and legal basis; Guangzhou agrees
asked = request { $request } for { $columns } columns, two ports only: { $purpose }
agreed = contract and grant { $grant }: contact names cut to one character, identity numbers hashed under a key of the grant
transfer = Shenzhen fetches: decided, recorded, released, sealed with SM4-GCM to its SM2 key, verified
transferred = version { $version }: { $rows } rows, { $size } in { $seconds } s ({ $rate }), written as a Delta table
release = { $release }; both receipts stand in both ledgers; table at { $path }
border = The same data is asked for in Hong Kong: that is an export
refused = { $detail }
on-ledger = the refusal is entry { $index } of Guangzhou's ledger
revocation = Guangzhou revokes a grant while its transfer runs
stopped = the transfer stopped { $milliseconds } ms after the command: { $detail }
proved = Every ledger verifies: each entry, the tree, every signed checkpoint
ledger = { $name }: { $entries } entries, { $checkpoints } checkpoints, cosigned by { $witnesses } other members, root { $root }
catalogs = catalog digests: { $digests }
real = Guangzhou publishes real files of { $dir }
real-published = { $id } ({ $title }): { $rows } published + { $quarantined } quarantined = { $expected } rows, { $stored } in { $seconds } s
real-transfer = Shenzhen requests and fetches each of them
real-transferred = { $id } ({ $grade }): { $rows } rows, { $size } ({ $rate })
real-missing = left out: { $file } is not there
real-no-customs = left out: the narrow grant, the border and the revocation; they need customs-declarations
real-no-dirty = left out: the dirty file; it needs { $file }
kept-out = { $rows } rows of { $id } were kept out; the first of them:
narrow = Shenzhen asks for some columns of the rows of two countries of origin; Guangzhou agrees and masks
narrowed = grant { $grant }: { $columns } of { $all } columns, importers hashed under a key of the grant, tariff codes cut to two digits: { $rows } of { $served } rows in { $seconds } s
real-border = The same declarations are asked for in Hong Kong: that is an export
real-revoked = Guangzhou revokes the grant; Shenzhen tries once more
real-dirty = Guangzhou publishes a real dirty table: { $rows } rows, { $faulty } of them with a wrong cell in four checked columns
real-dirty-published = { $rows } rows published, { $quarantined } quarantined, exactly those that differ from the clean table; the first of them:
over-a-minute = That is more than the minute it should take; a development build is several times slower than a release build.
keep = The nodes go on running until Ctrl-C or SIGTERM. Look around with:
kept = Directories kept: { $dir }
total = Done in { $seconds } s.

# What an operator reads.
init-made = Made { $dir }:
init-before = Before others rely on this node:
init-give-keys = 1. give each key file under persons/ to its person, and its passphrase separately;
init-move-authority = 2. move authority/*.key.pem off this machine;
init-hide-passphrase = 3. move keys/passphrase to where only the service can read it.
init-next = Next: kouan serve --config { $config }
ca-made = Made the authorities in { $dir }. Keep the .key.pem files off the network; roots.pem goes to every node and person.
ca-requested = { $request } goes to the authority; { $key } stays here. Read this digest to the authority over another line: { $digest }
ca-issued = Certified { $name } ({ $family }) for { $hosts }, { $days } days: { $path }. The key is { $digest }: compare it with what the node's operator reads to you.
ca-joined = { $path } has key and certificate. Its key in the node's record (transport_keys) is { $digest }
ca-revoked = { $path } names { $count } certificates; bring it to every node (tls.revocations), and the next lists within { $days } days. The catalog is faster: take the key out of the node's record.
account-added = { $person } has an account now. The address above is for her authenticator, the line below it for one without a camera; neither is shown again.
account-signs = The node keeps her key and signs for her: kouanctl login --password --person { $person }
account-reads = She can read and change nothing: the node keeps no key of hers (--key-file). kouanctl login --password --person { $person }
account-removed = { $person } has no account any more.
ask-passphrase = Pass phrase of the key:
ask-password = New password:
ask-again = The same once more:
nobody-to-ask = there is nobody to ask; name a file
too-short = write at least { $least } characters
typed-differently = the two entries differ; nothing was changed

# kouan restore
restored = The catalog is restored: { $records } records at index { $index }, as of { $taken }. This node is its only voter. Start it, and add each other member with an empty catalog directory.
