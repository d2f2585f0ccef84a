# Makes a repository with the stock program that has something of everything. Arguments: repository, working directory.
set -eu
repo=$1 tree=$2
fossil init "$repo" >/dev/null
mkdir -p "$tree"
cd "$tree"
fossil open "$repo" >/dev/null
ci() { fossil commit --no-warnings --allow-empty --allow-fork "$@" >/dev/null; }

seq 1 200 >numbers.txt
mkdir -p 'dir with space/ünïcode'
echo one >'dir with space/ünïcode/ﬁle näme.txt'
printf 'int main(void){return 0;}\n' >main.c
printf '#!/bin/sh\n' >run.sh && chmod +x run.sh
ln -s main.c link.c
fossil settings allow-symlinks 1 >/dev/null
fossil add --dotfiles . >/dev/null
ci -m 'first <&> "quoted" files'
seq 1 150 >numbers.txt
ci -m 'shorter' --tag shorter
fossil mv --hard main.c source.c >/dev/null
ci -m 'rename'
chmod -x run.sh
echo more >>source.c
ci -m 'no longer executable'
fossil rm --hard link.c >/dev/null
ci -m 'delete the link'

# A branch, a merge with a file that comes by it, a cherry-pick and a backout.
echo b1 >branch.txt && fossil add branch.txt >/dev/null
ci -m 'start feature' --branch feature --bgcolor '#ffeecc'
seq 1 170 >numbers.txt
ci -m 'feature goes on'
feature=$(fossil info | sed -n 's/^checkout: *\([0-9a-f]*\).*/\1/p')
fossil update trunk >/dev/null
echo trunk >trunk.txt && fossil add trunk.txt >/dev/null
ci -m 'trunk goes on'
fossil merge feature >/dev/null
ci -m 'merge feature'
fossil update feature >/dev/null
echo picked >picked.txt && fossil add picked.txt >/dev/null
ci -m 'to be picked'
picked=$(fossil info | sed -n 's/^checkout: *\([0-9a-f]*\).*/\1/p')
fossil update trunk >/dev/null
fossil merge --cherrypick "$picked" >/dev/null
ci -m 'pick one'
fossil merge --backout "$picked" >/dev/null
ci -m 'back it out'
fossil merge --integrate feature >/dev/null
ci -m 'integrate'

# A fork, and a merge of it.
base=$(fossil info | sed -n 's/^checkout: *\([0-9a-f]*\).*/\1/p')
echo left >left.txt && fossil add left.txt >/dev/null
ci -m 'left'
fossil update "$base" >/dev/null
echo right >right.txt && fossil add right.txt >/dev/null
ci -m 'right'
fossil merge >/dev/null
ci -m 'join the fork'

# Tags: added, cancelled, propagated, closed; edits of comment, user, date, colour, branch.
fossil tag add release-1 "$base" >/dev/null
fossil tag add --propagate quality "$base" high >/dev/null
fossil tag add note-tag "$feature" 'with <value>' >/dev/null
fossil tag cancel shorter shorter >/dev/null
fossil amend "$base" -m 'an "edited" comment' >/dev/null
fossil amend "$feature" --author someone --date '2020-02-02T02:02:02' >/dev/null
fossil amend "$picked" --branch renamed --bgcolor '#aabbcc' >/dev/null
fossil amend trunk --branchcolor '#ddeeff' >/dev/null
fossil amend "$feature" --hide --close >/dev/null
fossil tag cancel --raw bgcolor trunk >/dev/null 2>&1 || true
fossil branch new side "$base" >/dev/null
fossil tag cancel quality trunk >/dev/null

# Delta manifests.
fossil settings forbid-delta-manifests 0 >/dev/null 2>&1 || true
for i in $(seq 1 60); do echo "$i" >"many-$i.txt"; done
fossil add many-*.txt >/dev/null
ci -m 'many files'
echo d1 >>many-1.txt && rm many-2.txt && fossil rm many-2.txt >/dev/null
ci -m 'delta one' --delta
echo d2 >>many-3.txt && echo back >many-2.txt && fossil add many-2.txt >/dev/null
ci -m 'delta two' --delta
fossil mv --hard many-4.txt moved-4.txt >/dev/null
echo 1 >many-1.txt
ci -m 'delta three' --delta
echo whole >>many-5.txt
ci -m 'a baseline again'

# Private check-ins.
echo secret >secret.txt && fossil add secret.txt >/dev/null
ci -m 'private work' --private --branch hidden-work
echo more secret >>secret.txt
ci -m 'more private work' --private
fossil update trunk >/dev/null

# Wiki, technotes, tickets, attachments.
printf 'first version of a page\n' >page && fossil wiki create 'A Page' page >/dev/null
printf 'second version of a page that is long enough to be a delta of the other\n' >page
fossil wiki commit 'A Page' page >/dev/null
printf 'first version of a note, long enough to become a delta of the next version\n' >page
fossil wiki create 'A note' page --technote 2021-03-04T05:06:07 --technote-tags x,y --technote-bgcolor '#123456' >/dev/null
note=$(fossil wiki list --technote --show-technote-ids | cut -d' ' -f1)
printf 'second version of a note, long enough to become a delta of the next version\n' >page
fossil wiki commit 'A note' page --technote "$note" >/dev/null
printf 'third\n' >page && : >empty
fossil wiki commit 'A Page' empty >/dev/null
fossil attachment add 'A Page' page >/dev/null
fossil attachment add --technote "$note" page >/dev/null
rm -f page empty
fossil ticket add title 'It <breaks>' status Open type Code_Defect comment 'first remark' >/dev/null
id=$(fossil sql -R "$repo" 'SELECT tkt_uuid FROM ticket' | tr -d "'")
fossil ticket set "$id" status Fixed resolution Fixed >/dev/null
fossil ticket set "$id" +comment ' and more' priority High >/dev/null
fossil ticket set "$id" +icomment 'a remark' login x mimetype text/plain >/dev/null

# Forum posts, which stock takes by its web pages alone: a thread, an answer, other words, and a post that was taken back. The title
# stays: which of two titles a thread has after stock's rebuild depends on which of its posts is stored as a delta.
forum() {
  body="submit=1&mimetype=text%2Fx-markdown&csrf=localhost&$2"
  printf 'POST /%s HTTP/1.0\r\nHost: localhost\r\nReferer: http://localhost/\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n%s' \
    "$1" "${#body}" "$body" | fossil test-http "$repo" | sed -n 's/^Location:.*forumpost\/\([0-9a-f]*\).*/\1/p'
}
thread=$(forum forumnew 'title=A+thread&content=the+first+words+of+a+thread%2C+long+enough+to+become+a+delta+of+the+next+ones')
answer=$(forum forume2 "fpid=$thread&reply=1&content=an+answer+to+the+first+words%2C+long+enough+to+become+a+delta+of+the+next+ones")
forum forume2 "fpid=$thread&edit=1&title=A+thread&content=other+first+words+of+a+thread%2C+long+enough+to+become+a+delta" >/dev/null
forum forume2 "fpid=$answer&edit=1&nullout=1&content=" >/dev/null
test "$(fossil sql -R "$repo" 'SELECT count(*) FROM forumpost')" = 4

fossil close --force >/dev/null

# A shunned file content, and clusters.
fossil sql -R "$repo" "INSERT INTO shun SELECT uuid, 0, '' FROM blob JOIN mlink ON fid=rid
  JOIN filename USING(fnid) WHERE name='many-7.txt' LIMIT 1" >/dev/null
fossil rebuild --cluster "$repo" >/dev/null
