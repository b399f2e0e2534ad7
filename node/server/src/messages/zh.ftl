# 演示的叙述。
title = 口岸 kouan：三个机构发布、申请、审批、传输、拒绝并举证
founded = { $count } 个节点组成联合体：各自的目录、密钥、TLS、Raft 与台账
between-shangmi = 节点之间：双向 TLS 1.3，SM2 证书，{ $suite }，curveSM2，sm2sig_sm3（RFC 8998）
between-standard = 节点之间：双向 TLS 1.3，{ $suite }
publish = 广州按数据标准发布 { $rows } 行港口作业数据（CSV { $size }）
published = 第 { $version } 版：发布 { $rows } 行，隔离 { $quarantined } 行并注明原因，Parquet { $stored }，用时 { $seconds } 秒（{ $rate }）
dirty = 广州上传一个问题文件：共 { $rows } 行，其中 { $faulty } 行有误
gate = 质量关口拒绝，{ $code }：{ $detail }
still-serving = 第 { $version } 版继续提供服务
request = 深圳申请“{ $title }”，说明用途和法律依据；广州同意
asked = 申请 { $request }，{ $columns } 个信息项，仅两个港口：{ $purpose }
agreed = 合同与授权 { $grant }：联系人只留姓，身份证号按授权密钥做摘要
transfer = 深圳获取数据：判定、记账、放行、以 SM4-GCM 密封给其 SM2 密钥、校验
transferred = 第 { $version } 版：{ $rows } 行，{ $size }，用时 { $seconds } 秒（{ $rate }），写成 Delta 表
release = { $release }；双方回执均在双方台账；数据表位于 { $path }
border = 同样的数据要送往香港：这是出境
refused = { $detail }
on-ledger = 该拒绝是广州台账的第 { $index } 条
revocation = 传输进行中，广州撤销授权
stopped = 命令发出 { $milliseconds } 毫秒后传输停止：{ $detail }
proved = 全部台账通过校验：每条记录、整棵树、每个签名检查点
ledger = { $name }：{ $entries } 条记录，{ $checkpoints } 个检查点，{ $witnesses } 个其他成员联署，根 { $root }
catalogs = 目录摘要：{ $digests }
real = 广州发布 { $dir } 中的真实文件
real-published = { $id }（{ $title }）：发布 { $rows } + 隔离 { $quarantined } = { $expected } 行，{ $stored }，用时 { $seconds } 秒
real-transfer = 深圳逐个申请并获取
real-transferred = { $id }（{ $grade }）：{ $rows } 行，{ $size }（{ $rate }）
real-missing = 略过：没有 { $file }
real-no-customs = 略过：收窄的授权、出境和撤销；这些步骤需要 customs-declarations
real-no-dirty = 略过：问题文件；需要 { $file }
kept-out = { $id } 有 { $rows } 行被隔离，最前面的是：
narrow = 深圳只申请两个原产国的部分信息项；广州同意并脱敏
narrowed = 授权 { $grant }：{ $all } 个信息项中的 { $columns } 个，进口商按授权密钥做摘要，税则号只留两位：{ $served } 行中的 { $rows } 行，用时 { $seconds } 秒
real-border = 同样的报关单要送往香港：这是出境
real-revoked = 广州撤销授权；深圳再试一次
real-dirty = 广州发布一张真实的问题表：共 { $rows } 行，其中 { $faulty } 行在四个受检信息项中有错
real-dirty-published = 发布 { $rows } 行，隔离 { $quarantined } 行，正是与干净表不同的那些行；最前面的是：
over-a-minute = 超过了应有的一分钟；开发版比发布版慢数倍。
keep = 节点继续运行，按 Ctrl-C（或收到 SIGTERM）结束。可用以下命令查看：
kept = 目录已保留：{ $dir }
total = 完成，用时 { $seconds } 秒。

# 运维人员所见。
init-made = 已建立 { $dir }：
init-before = 在他人使用本节点之前：
init-give-keys = 1. 将 persons/ 下的密钥文件分别交给本人，口令另行交付；
init-move-authority = 2. 将 authority/*.key.pem 移出本机；
init-hide-passphrase = 3. 将 keys/passphrase 移到只有本服务可读的位置。
init-next = 下一步：kouan serve --config { $config }
ca-made = 已在 { $dir } 生成签发机构。.key.pem 文件不要联网保存;roots.pem 发给每个节点和人员。
ca-requested = { $request } 交给签发机构;{ $key } 留在本机。请通过另一渠道向签发机构核对摘要:{ $digest }
ca-issued = 已为 { $name }({ $family })签发证书,名称 { $hosts },有效期 { $days } 天:{ $path }。公钥摘要为 { $digest },请与节点运维人员核对。
ca-joined = { $path } 含密钥和证书。节点目录记录(transport_keys)中的摘要为 { $digest }
ca-revoked = { $path } 列出 { $count } 张被吊销的证书;请分发到每个节点(tls.revocations),并在 { $days } 天内签发下一份。更快的办法是从节点的目录记录中删除该公钥。
account-added = { $person } 的账号已建立。以上地址供动态口令应用扫描，其下一行供手工输入；两者不再显示。
account-signs = 节点保管其密钥并代为签名：kouanctl login --password --person { $person }
account-reads = 节点未保管其密钥（--key-file），只能查阅，不能办理。kouanctl login --password --person { $person }
account-removed = { $person } 的账号已删除。
ask-passphrase = 密钥口令：
ask-password = 新登录口令：
ask-again = 请再输入一次：
nobody-to-ask = 当前不可输入，请指定文件
too-short = 至少 { $least } 个字符
typed-differently = 两次输入不一致，未作任何更改

# kouan restore
restored = 目录已恢复:{ $records } 条记录,序号 { $index },备份时间 { $taken }。本节点是唯一投票节点。请启动本节点,其他成员清空目录数据后逐一加入。
